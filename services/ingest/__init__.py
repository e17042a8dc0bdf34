"""From raw bytes to exchanges: nothing that comes in may raise, hurt its neighbours or vanish."""
