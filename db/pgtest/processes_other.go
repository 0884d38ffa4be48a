//go:build !linux

package pgtest

import (
	"os/exec"
	"syscall"
)

// Patroni runs only on Linux: see findPrograms.

func signalOnParentExit(*exec.Cmd, syscall.Signal) {}

func killTree(...int) {}

func isPostgres(int) bool { return false }
