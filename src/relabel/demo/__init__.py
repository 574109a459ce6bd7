"""The embedded default: a small vision-language model trained for this package, and a dataset to relabel with it.

Importing it costs no torch. How the model was made: `tools/demo_model` in the repository.
"""

from pathlib import Path

from relabel.demo.check import check_labels
from relabel.demo.dataset import write_dataset
from relabel.demo.report import DemoReport

__all__ = [
    "CAPTION_PROMPT",
    "JSON_PROMPT",
    "MODEL_PATH",
    "REWRITE_PROMPT",
    "DemoReport",
    "check_labels",
    "write_dataset",
]

MODEL_PATH = Path(__file__).parent / "model"
"""The shipped model, an ordinary Hugging Face folder."""
CAPTION_PROMPT = "Describe the image."
"""What follows the image in the prompts of the task `caption`."""
JSON_PROMPT = "Describe the image as JSON."
"""What follows the image in the prompts of the task `json`."""
REWRITE_PROMPT = "Clean up this alt text: {{ alt_text }}"
"""The whole prompt of the task `rewrite`: Jinja2 over the row, no image."""
