"""How the model of the demo was made. Not of the package: the weights are in `src/relabel/demo/model`."""
