"""What the demo runs beside the gateway: simulated agencies, an identity provider, fictional families."""
