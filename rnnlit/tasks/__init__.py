"""What the chapters learn from: data that stand in the package or are drawn, and small models for them."""
