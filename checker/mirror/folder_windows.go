package mirror

import "os"

// syncNames does nothing: Windows cannot sync a folder, and NTFS logs names.
func syncNames(*os.File) error { return nil }

// shard is an open subfolder of contents.
type shard = os.Root

func openShard(root *os.Root, name string) (*shard, error) { return root.OpenRoot(name) }

func openContent(s *shard, sum string) (*os.File, error) { return s.Open(sum) }
