module tls

go 1.24
