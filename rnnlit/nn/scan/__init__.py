"""The recurrences of the layers, each as one autograd function with its own backward pass."""
