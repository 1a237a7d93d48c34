"""What is in the lake, and how each table and figure comes to be, in the order data flows."""
