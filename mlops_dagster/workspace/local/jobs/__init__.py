"""Jobs as the workspace keeps them: submitted, queued, recorded, followed, ended, run again."""
