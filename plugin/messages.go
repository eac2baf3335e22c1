package main

// What an instance logs itself. docs/operations.md has cause and cure of each; a test holds it to that.
const (
	msgOptions  = "version %s: %s"
	msgAll      = "all options: %s"
	msgThread   = "flushes run on Fluent Bit's engine thread, where a slow Loki holds up every input and output: add 'Workers 1' to this output"
	msgFault    = "a fault in logscope, please report it; the chunk with tag %q stays with Fluent Bit: %v\n%s"
	msgInitExit = "a fault in logscope, please report it; %s: %v\n%s"
	msgClose    = "cannot close cleanly: %v"
	msgLines    = "%d more log lines dropped"
)
