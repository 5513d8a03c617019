"""Lists of 50 requests out of 100,000, beside a plain Django view and Django REST framework."""
