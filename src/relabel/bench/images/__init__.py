"""The benchmark of images: the same ways to generate, from JPEGs to texts.

Knows the rest of the benchmark and the engine; nothing of jobs, which decode on other cores while an engine generates.
"""
