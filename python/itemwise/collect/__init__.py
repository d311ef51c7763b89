"""Item-wise results from leaderboards and other data sets of the Hugging Face hub."""
