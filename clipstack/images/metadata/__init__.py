"""What a picture says of itself: dates, place, camera, title and keywords."""
