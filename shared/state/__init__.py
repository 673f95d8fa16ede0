"""The fleet's state in Redis: keys, scripts, and one typed async function per script."""
