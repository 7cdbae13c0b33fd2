//! `Fn::Cidr`: blocks within a block.

use std::net::IpAddr;

/// The first `count` blocks with `host_bits` bits each in `block`, IPv4 or IPv6; an error is a sentence's end.
pub(super) fn subnets(block: &str, count: u32, host_bits: u32) -> Result<Vec<String>, String> {
    let invalid = || format!("{block} is not a CIDR block");
    let (address, prefix) = block.split_once('/').ok_or_else(invalid)?;
    let address: IpAddr = address.parse().map_err(|_| invalid())?;
    let prefix: u32 = prefix.parse().map_err(|_| invalid())?;
    let (width, base): (u32, u128) = match address {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    let block_bits = width.checked_sub(prefix).ok_or_else(invalid)?;
    let fits = host_bits <= block_bits && (block_bits - host_bits >= 32 || count <= 1 << (block_bits - host_bits));
    if !fits {
        return Err(format!("{block} does not hold {count} blocks of {host_bits} bits"));
    }
    let network = if block_bits == 128 { 0 } else { base >> block_bits << block_bits };
    let name = |index: u32| {
        let bits = network + (u128::from(index) << host_bits.min(127));
        let address = match u32::try_from(bits) {
            Ok(bits) if width == 32 => IpAddr::from(bits.to_be_bytes()),
            _ => IpAddr::from(bits.to_be_bytes()),
        };
        format!("{address}/{}", width - host_bits)
    };
    Ok((0..count).map(name).collect())
}
