"""What the pages of the book alone need: the style of figures, records of measurements, the errata."""
