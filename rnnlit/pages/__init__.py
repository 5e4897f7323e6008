"""What only the pages of the book need: the style of figures, and the ledger of the errata."""
