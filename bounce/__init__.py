"""What became of mail that was sent: reading reports and replies (TAXONOMY.md beside this file)."""
