"""From one root to another: the phases of a migration as product files, the edits they make, the policy file of Java clients."""
