"""An output as a dataset on the Hugging Face hub."""
