"""What people are shown of a graph and its runs: progress, pictures, the profile, traces and figures."""
