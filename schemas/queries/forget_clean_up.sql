-- Wakes the engine's thread that deletes such parts; it may sleep for minutes.
SYSTEM START CLEANUP {table:Identifier}
