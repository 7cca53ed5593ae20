"""What an evaluation costs on AWS, and what nothing costs: prices from a dated file, pure sums."""
