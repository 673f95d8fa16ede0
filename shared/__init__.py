"""What the services both need and nothing else: no WebRTC, no audio, no server."""
