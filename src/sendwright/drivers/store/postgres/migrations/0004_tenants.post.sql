drop index waits_parked;
