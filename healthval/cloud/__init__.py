"""What an evaluation costs on AWS, and what nothing costs."""
