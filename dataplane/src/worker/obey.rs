//! Control's commands, applied between bursts, in order.

use super::Worker;
use super::ctcp::Ctcp;
use crate::carrier::ctcp::{Inside, ike_in_udp};
use crate::contract::{Command, Event, IkeDatagram, IkeFraming, Keepalive, KeepaliveForm, Path};
use crate::fate::{DropReason, Fate};
use crate::io::Door;
use crate::packet::{Channel, Meta, PacketBuf, Pool};
use crate::sad::Misfit;
use crate::time::Instant;
use crate::wire::esp::{KEEPALIVE, MAX_UDP_PAYLOAD, NON_ESP_MARKER};
use crossbeam_channel::TryRecvError;

/// Commands of one turn: a storm of logins must not hold the packets up.
pub(super) const COMMANDS_PER_TURN: usize = 64;

/// What there was to obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obeyed {
    Nothing,
    Some,
    Stop,
}

impl<D: Door> Worker<D> {
    /// Obeys at most [`COMMANDS_PER_TURN`]. While control does not take what came home, nothing more is sent home:
    /// its own channel fills, and control sees that.
    pub(super) fn obey(&mut self, now: Instant) -> Obeyed {
        let mut obeyed = Obeyed::Nothing;
        for _ in 0..COMMANDS_PER_TURN {
            if self.reports.are_held_up() {
                break;
            }
            let command = match self.commands.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => break,
                // Control is gone, and with it whatever it had not handed over, a `Stop` among that.
                Err(TryRecvError::Disconnected) => return Obeyed::Stop,
            };
            obeyed = Obeyed::Some;
            let Self { sad, reports, pool, replies, counters, ctcp, inner_flows, captures, .. } = self;
            let fits = match command {
                Command::AddTunnel(spec) => sad.add_tunnel(now, *spec),
                Command::MoveTunnel(order) => sad.move_tunnel(now, &order).map(|path| {
                    if let Some(path) = path {
                        reports.moved(order.tunnel, path);
                    }
                }),
                Command::SetRates { tunnel, rates } => sad.set_rates(now, tunnel, rates),
                Command::CloseTransports { tunnel, closed } => sad.close_transports(tunnel, closed),
                Command::AddPair(spec) => sad.add_pair(*spec).inspect(|()| reports.make_room(sad.len())),
                Command::SwitchOutbound { spi } => sad.switch_outbound(spi),
                Command::StopOutbound { spi } => sad.stop_outbound(spi),
                Command::DropPair { spi } => sad.drop_pair(spi, |retired| reports.state(Event::Retired(retired))),
                Command::DropTunnel { tunnel } => {
                    let dropped = sad.drop_tunnel(tunnel, |retired| reports.state(Event::Retired(retired)));
                    if let (Ok(()), Some(flows)) = (dropped, inner_flows) {
                        flows.end_tunnel(tunnel.slot);
                    }
                    captures.tunnel_gone(tunnel);
                    dropped
                }
                Command::SendIke(datagram) if datagram.framing == IkeFraming::Tcp => {
                    let taken = ctcp.as_mut().ok_or(DropReason::NoConnection);
                    match taken.and_then(|ctcp| ctcp.stream_ike(now, &datagram, pool, replies)) {
                        Ok(()) => counters.ike_sent(1),
                        Err(reason) => counters.dropped(reason, 1),
                    }
                    Ok(())
                }
                Command::SendIke(datagram) => {
                    match write_ike(now, &datagram, pool, ctcp.as_mut()) {
                        Ok(packet) => {
                            counters.ike_sent(1);
                            replies.push(packet);
                        }
                        Err(reason) => counters.dropped(reason, 1),
                    }
                    Ok(())
                }
                Command::KeepConnection { path, tunnel } => {
                    if let Some(ctcp) = ctcp {
                        ctcp.vouch(now, &path, tunnel);
                    }
                    Ok(())
                }
                Command::ExpectSession { path, within } => {
                    if let Some(ctcp) = ctcp {
                        ctcp.expect(now, &path, within, pool, replies);
                    }
                    Ok(())
                }
                Command::EndConnection { path, tunnel } => {
                    if let Some(ctcp) = ctcp {
                        ctcp.end_of(now, &path, tunnel, pool, replies);
                    }
                    Ok(())
                }
                Command::ClearConnection { path, number } => {
                    if let Some(ctcp) = ctcp {
                        ctcp.clear(now, &path, number, pool, replies);
                    }
                    Ok(())
                }
                Command::TellFlows(mut page) => {
                    if let Some(ctcp) = ctcp {
                        ctcp.tell(now, &mut page);
                    }
                    reports.state(Event::Flows(page));
                    Ok(())
                }
                Command::TellInnerFlows(mut page) => {
                    if let Some(flows) = inner_flows {
                        flows.tell(now, &mut page);
                    }
                    reports.state(Event::InnerFlows(page));
                    Ok(())
                }
                Command::SendKeepalive(keepalive) => {
                    match write_keepalive(keepalive, pool) {
                        Ok(packet) => replies.push(packet),
                        Err(reason) => counters.dropped(reason, 1),
                    }
                    Ok(())
                }
                Command::Capture(order) => {
                    captures.begin(*order, self.id, sad, self.burst.capacity());
                    Ok(())
                }
                Command::AimCapture(aim) => {
                    captures.aim(aim.id, aim.paths);
                    Ok(())
                }
                Command::StopCapture { id } => {
                    captures.stop(id);
                    Ok(())
                }
                Command::Tune(tuning) => {
                    self.tune(&tuning);
                    Ok(())
                }
                Command::Stop => return Obeyed::Stop,
            };
            // Keys that came with a command that does not fit were dropped, and wiped, right here.
            if let Err(Misfit::NotOurs | Misfit::SlotTaken | Misfit::Unknown | Misfit::TooManyInbound) = fits {
                self.counters.commands_refused(1);
            }
        }
        obeyed
    }
}

fn write_ike(
    now: Instant,
    datagram: &IkeDatagram,
    pool: &mut Pool,
    ctcp: Option<&mut Ctcp>,
) -> Result<PacketBuf, DropReason> {
    match datagram.framing {
        IkeFraming::Bare => write(pool, Channel::Ike, datagram.path, &[], &datagram.bytes),
        IkeFraming::NonEspMarker => write(pool, Channel::NatT, datagram.path, &NON_ESP_MARKER, &datagram.bytes),
        // It goes into a stream, not into a packet.
        IkeFraming::Tcp => Err(DropReason::NoConnection),
        IkeFraming::Ctcp => {
            let ctcp = ctcp.ok_or(DropReason::NoConnection)?;
            let front = ike_in_udp(datagram.bytes.len());
            let mut packet = write(pool, Channel::Ctcp, datagram.path, &front, &datagram.bytes)?;
            match ctcp.dress(now, Inside::Ike, &mut packet) {
                Ok(()) => Ok(packet),
                Err(reason) => {
                    pool.put(packet);
                    Err(reason)
                }
            }
        }
    }
}

fn write_keepalive(Keepalive { path, form }: Keepalive, pool: &mut Pool) -> Result<PacketBuf, DropReason> {
    let (channel, front): (_, &[u8]) = match form {
        KeepaliveForm::NatT => (Channel::NatT, &[]),
        KeepaliveForm::NatT500 => (Channel::Ike, &[]),
        KeepaliveForm::Cisco => (Channel::CiscoUdp, &[]),
        KeepaliveForm::CiscoMarked => (Channel::CiscoUdp, &NON_ESP_MARKER),
    };
    write(pool, channel, path, front, &[KEEPALIVE])
}

fn write(pool: &mut Pool, channel: Channel, path: Path, front: &[u8], bytes: &[u8]) -> Result<PacketBuf, DropReason> {
    let len = front.len() + bytes.len();
    if len > MAX_UDP_PAYLOAD {
        return Err(DropReason::TooBig);
    }
    let mut packet = pool.take(len).ok_or(DropReason::NoBuffer)?;
    let Some(room) = packet.extend_back(len) else {
        pool.put(packet);
        return Err(DropReason::TooBig);
    };
    let (marker, message) = room.split_at_mut(front.len());
    marker.copy_from_slice(front);
    message.copy_from_slice(bytes);
    packet.meta = Meta { channel, path: Some(path), fate: Fate::Forward, ..Meta::default() };
    Ok(packet)
}
