"""Pipecat's SmallWebRTC: offer and answer over HTTP, RTVI over the data channel."""
