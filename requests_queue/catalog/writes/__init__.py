"""What vendors write of their products, behind the views: each call is checked and made whole."""
