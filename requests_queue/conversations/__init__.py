"""What both parties of a queue object say to each other, and what its moves say to them."""
