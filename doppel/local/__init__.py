"""One machine, nothing installed: real servers, the services and the playground as child processes."""
