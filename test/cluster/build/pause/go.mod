module github.com/gracefulapp/gracefulapp/test/cluster/build/pause

go 1.26.0
