// Package systemtest tests the whole system: it starts the real server and the real
// commands as processes, and puts load, crashes, full disks, browsers and real clients
// on them. It also holds the benchmarks of make bench. It has no code of its own.
package systemtest
