package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/mirror"
	"relcheck/checker/printable"
	"relcheck/db"
	"relcheck/db/dbfile"
	"relcheck/db/doctor"
)

func fileCommand(streams IO) *cobra.Command {
	return group("file", "Manage the files of releases that the service itself offers for download.", `
  relcheck file fetch opa --latest 2 --platform linux/amd64,linux/arm64 \
    --files /srv/relcheck
  relcheck serve --files /srv/relcheck
  relcheck file list`,
		fileFetch(streams), fileAdd(streams), fileList(streams), fileVerify(streams), filePrune(streams))
}

// filesFlag adds the flag --files.
func filesFlag(c *cobra.Command, folder *string) {
	c.Flags().StringVar(folder, "files", "", "`folder` of the files of releases, the same as of relcheck serve --files")
}

// filesCommand adds the flags --db and --files to a command, which calls run with the store
// and the path of the folder.
func filesCommand(c *cobra.Command, run func(ctx context.Context, s *db.Store, folder string, args []string) error) *cobra.Command {
	var name, path string
	dbFlag(c, &name)
	filesFlag(c, &path)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if path == "" {
			return usageError("missing --files: give the folder of relcheck serve --files")
		}
		return withExisting(cmd.Context(), name, func(s *db.Store) error {
			return explainNotFound(cmd, s, args, run(cmd.Context(), s, path, args))
		})
	}
	return c
}

// withFolder opens the folder of a store's files. If create is set, it creates a missing
// folder, so that a command first checks everything else.
func withFolder(ctx context.Context, s *db.Store, path string, create bool, f func(*mirror.Folder) error) (err error) {
	folder, err := openFolder(ctx, s, path, create)
	if err != nil {
		return explainDisk(err)
	}
	defer closing(folder, &err)
	return f(folder)
}

// openFolder opens the folder of a store's files. If create is set, it creates the folder,
// unless the store already lists files.
func openFolder(ctx context.Context, s *db.Store, path string, create bool) (*mirror.Folder, error) {
	if info, err := os.Stat(path); !create && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--files %s: the folder does not exist: give the folder that relcheck file fetch has filled", path)
	} else if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("--files %s: not a folder: give a folder", path)
	}
	id, err := storeID(ctx, s)
	if err != nil {
		return nil, err
	}
	if !create {
		return mirror.Open(path, id)
	}
	if _, err := os.Stat(filepath.Join(path, mirror.Owner)); errors.Is(err, fs.ErrNotExist) {
		for _, err := range s.HostedFiles(ctx) {
			if err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("--files %s: the folder has no file named %s, but the store lists files in it: mount or restore the folder; to start with a new one, create it with an empty file named %[2]s", path, mirror.Owner)
		}
	}
	_, missing := os.Stat(path)
	folder, err := mirror.Create(path, id)
	if err == nil && missing != nil && db.IsFile(s.Name()) {
		if f, err := os.Open(path); err == nil {
			dbfile.Adopt(f, s.Name())
			f.Close()
		}
	}
	return folder, err
}

// printServing prints how the files of a folder reach clients, unless a server has served the
// folder lately.
func printServing(w io.Writer, f *mirror.Folder, path string) {
	if time.Since(f.LastServed()) > doctor.ServedWithin {
		fmt.Fprintf(w, "clients can download from this folder only if a server runs with: relcheck serve --files %s\n", printable.QuoteShell(path))
	}
}

// explainDisk adds advice to an error about a full disk.
func explainDisk(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: free space on the disk, for example with relcheck file prune, and run the command again to continue", err)
	}
	return err
}
