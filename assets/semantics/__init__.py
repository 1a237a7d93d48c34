"""What generations share in sense: embeddings, and what is made of them."""
