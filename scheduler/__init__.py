"""scheduler DECIDES what runs where and when: accept, admission, placement, recovery, sweeping."""
