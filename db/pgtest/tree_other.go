//go:build !linux

package pgtest

import (
	"os/exec"
	"syscall"
)

// Where there is no Patroni, nothing of it runs.

func endsWithTests(*exec.Cmd, syscall.Signal) {}

func killTree(...int) {}

func isPostgres(int) bool { return false }
