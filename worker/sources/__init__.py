"""Sources of jobs: a manifest, a folder or an archive in S3, read entry by entry."""
