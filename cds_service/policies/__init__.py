"""The pure core: a plan folder becomes a Policy; a Policy, an order and a record become a Determination."""
