"""All of Ray. What of it still runs when a run has ended must not begin another, or join a stranger's, by itself."""

import os

os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # Ray looks when it is imported, as the files here do
