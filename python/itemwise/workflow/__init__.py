"""What the Snakemake workflow needs: configuration, the code of each stage, processes."""
