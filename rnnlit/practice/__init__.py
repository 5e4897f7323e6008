"""Applications: data, model and training of each, as a script that runs in one process or in many (torch)."""
