package manage

type syncs struct{}
