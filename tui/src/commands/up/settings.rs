//! The parameters of the stack that a person sets.

use std::str::FromStr;

use stack::template::{Parameter, Parameters};

/// `NAME=VALUE`: a parameter of the template.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    parameter: Parameter,
    value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as Processor=webhook")?;
        let parameter = name.parse().map_err(|unknown| format!("{unknown}"))?;
        Ok(Self { parameter, value: value.to_owned() })
    }
}

/// What was set, over `defaults`. Of several values the last counts.
pub(super) fn over(defaults: impl Into<Parameters>, settings: &[Setting]) -> Parameters {
    let mut parameters = defaults.into();
    parameters.extend(settings.iter().map(|setting| (setting.parameter, setting.value.clone())));
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_parameter_of_the_template_and_a_value_that_may_be_anything() {
        let settings = ["Tokens=a=00", "Tick=1s", "Tick=3s"].map(|text| text.parse().expect("a setting"));
        let parameters = over([(Parameter::Tick, "2s".to_owned()), (Parameter::Poison, "stop".to_owned())], &settings);
        let told: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(told, ["Tokens=a=00", "Tick=3s", "Poison=stop"]);
    }

    #[test]
    fn what_is_no_parameter_is_refused_with_those_there_are() {
        let refusal = |text: &str| text.parse::<Setting>().expect_err(text);
        assert!(refusal("tick=1s").contains("there are AllowedCidr, "), "{}", refusal("tick=1s"));
        assert!(refusal("Tick").contains("NAME=VALUE"));
    }
}
