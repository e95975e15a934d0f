"""What each topic says of a cluster at two revisions: sentences, flags and amounts."""
