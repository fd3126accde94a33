"""Four photographs, networks that name what is on a photograph, and what a file keeps of one."""
