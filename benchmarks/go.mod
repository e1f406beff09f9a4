module github.com/ami-nats-bridge/ami-nats-bridge/benchmarks

go 1.26.0

require github.com/ami-nats-bridge/ami-nats-bridge v0.0.0

replace github.com/ami-nats-bridge/ami-nats-bridge => ../

// As in the module that is measured.
exclude github.com/antithesishq/antithesis-sdk-go v0.8.0
