"""A whole job: recipe, chain, measurement, stacks and the folder of results."""
