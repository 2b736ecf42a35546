package node

import (
	"os"
	"sync"
)

// maxLog bounds a component's log: the current file and one older one. Two nodes have eleven components: 176 MiB at most.
const maxLog = 8 << 20

// logFile is a log that starts over, and keeps its predecessor, when it has reached its limit.
type logFile struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write never fails and never writes short: a full disk must not stop the component that logs.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size >= maxLog {
		l.rotate()
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
	return len(p), nil
}

func (l *logFile) rotate() {
	old := l.file
	if os.Rename(l.path, l.path+".1") == nil && l.open() == nil {
		_ = old.Close() // nothing is lost: what was written is in the kernel
	}
}
