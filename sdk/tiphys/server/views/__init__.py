"""What a run did, room by room: trainings, candidates, models served, resources, data, lineage, two runs compared."""
